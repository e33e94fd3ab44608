"""The workspace: the facade behind which every rule of the server stands, once; the doors only translate."""
