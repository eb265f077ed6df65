from gud.cli import console

console()
