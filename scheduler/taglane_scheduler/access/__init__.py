"""Who may come in, and as whom: people with passwords, API keys, logins, links that open once. Knows no HTTP."""
