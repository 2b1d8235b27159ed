"""A Civitai on one machine: the Site API on loopback, from a simulated or a given catalogue."""
