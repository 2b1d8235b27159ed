"""The routes of the live dialect: a module per group of operations, and what they share."""
