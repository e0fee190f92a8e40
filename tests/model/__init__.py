"""Model-based tests: requests whose every store call is a step that a machine interleaves.

`stepping` cuts a request into store calls, `request` is one request under way, `effects` says what
its operations must do to the data, `oracle` checks each step against the promises, `world` holds
browsers, store and clock, `machine` lets Hypothesis choose, `longrun` plays for as long as asked.
"""
