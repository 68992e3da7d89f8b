package engine

// Decode reads a recorded submission.
var Decode = decode
