"""Who may call, and where we may connect: client registrations, tokens, keys, replay, network policy, rates."""
