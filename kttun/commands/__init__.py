"""One module a command, and the only place where the rooms meet.

A command takes frozen values (`kttun.config`) and gives an exit code; what it prints for people goes to stderr by
`Console`, data goes to stdout. Nothing heavy is imported at the top: each command imports what it needs.
"""
