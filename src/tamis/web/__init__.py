"""HTTP: the provider APIs and operations. It translates; every rule is in `workspace` or below."""
