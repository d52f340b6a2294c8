"""The REST API, /api/v1: one module a kind of thing, each with its routes; the table of all says what OpenAPI says."""
