"""One snapshot date of the star: from its inputs (`inputs`) to its result, by functions that change nothing.

`build_day` names the steps; what each needs is in its arguments.
"""
