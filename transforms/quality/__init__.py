"""Data-quality checks: what a day must hold before it is published, and counters that collapse."""
