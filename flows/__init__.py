"""Prefect flows and deployments, and the steps they share with the command line."""
