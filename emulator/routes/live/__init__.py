"""The routes of the live dialect: one module per group of operations, and shared modules."""
