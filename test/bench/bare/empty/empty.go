// Command empty does nothing. How long it takes is what any Go program takes to
// start and to end.
package main

func main() {}
