"""Where sessions are kept: the contract, and one module per engine."""
