"""What pages and the REST API let somebody do: each action once, with who may do it, on which tenants."""
