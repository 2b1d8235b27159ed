"""Generated trials that look for what nobody thought of: `make fuzz`."""
