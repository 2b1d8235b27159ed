"""The simulated catalogue as columns, without a dialect: what exists, when, and its true counters."""
