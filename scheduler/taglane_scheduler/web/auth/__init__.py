"""Who may come in: people with passwords, API keys, logins, links that open once. Knows nothing of HTTP but `doors`."""
