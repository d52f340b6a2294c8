"""The console and the REST API: HTTP in front of the desk."""
