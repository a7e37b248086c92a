"""What users have written down for good: a file of their own, one of the project, and the environment.

From light to heavy: built-in default, user file, project file, environment, command line. Single values are replaced by
the heavier one; lists add up, so that no file can take back an exclusion that another one made.
"""
