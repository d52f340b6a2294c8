"""A plain model of all moves, and the rules by which a state machine makes them on it and on the server."""
