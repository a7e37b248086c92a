"""What turns one object into others, as Kubernetes' controllers do: each looks at the whole store and makes it so.

They are level-triggered: `loop` calls a controller's `sync` after any change of the kinds it looks at, and at the time
that it asked for. The store is small, so looking at all of it is cheap and nothing can be missed.
"""
