"""What is known about UN Comtrade: its formats, its codes and the contract its rows are held to."""
