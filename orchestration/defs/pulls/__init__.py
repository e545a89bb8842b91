"""What is pulled from the API: the list of what it holds, and the data sets.

Belongs here: assets, jobs, the daily look and the sensors of the sources `api` and `preview`. Does not belong here:
asking and landing (`orchestration.pipeline.pull`).
"""
