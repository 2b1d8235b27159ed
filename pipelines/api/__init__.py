"""The service over HTTP: client, request budget, connections, and the endpoints of each dialect."""
