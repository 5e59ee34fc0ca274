"""The commands about the policy: what it says, what it does to a payload, and the same for the collector."""
