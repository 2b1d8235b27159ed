"""The HTTP routes of the Site API, one module per dialect."""
