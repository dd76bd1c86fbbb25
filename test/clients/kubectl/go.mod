// Only marks the folder: each version is built with -modfile and a .mod file of its own.
module kubectl

go 1.25.0
