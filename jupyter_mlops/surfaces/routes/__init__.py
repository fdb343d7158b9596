"""The verbs for JupyterLab's sidebar: `mlops/...` below the server's own address.

table (what may be asked) -> places (no path leaves the server's root) -> handlers -> host (reads), jobs (long work), watching (live)
"""
