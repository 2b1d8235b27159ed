"""What a snapshot must survive, for as long as one likes: `python -m tests.soak` (`make soak`)."""
