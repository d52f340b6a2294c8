"""What Prometheus and autoscalers are told of tenants, from the server."""
