"""What people read: summaries, charts, query answers, generated documents."""
