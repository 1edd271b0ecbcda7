"""Whether the stores that the program depends on can be asked: circuit breakers and readiness."""
