"""Who may do what: API keys, their scopes and limits, and the gate in front of every route."""
