"""The state that the use cases of one process share: the portal, the breaker, memories of restores and of days."""
