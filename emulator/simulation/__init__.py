"""The simulated catalogue as columns: what exists, when, and its true counters, in no dialect."""
