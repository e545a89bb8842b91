"""The UN Comtrade API as a source: its client, its limits, what is asked for and what comes back.

Belongs here: what is known about the API. Does not belong here: the pull that lands data sets
(`orchestration.pipeline.pull`), downloads that people already have (`files`), the meaning of rows (`contract`).
"""
