"""One file a mechanism; see the contract in softbench.contract."""
