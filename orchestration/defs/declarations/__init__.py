"""Landing and the source contract as assets, with the checks on filed declarations.

Does not belong here: the rules of the contract (`orchestration.comtrade`).
"""
