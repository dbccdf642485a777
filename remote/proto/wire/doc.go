// Package wire turns what engines give each other into the messages of stridepb and thanospb, and back. Whatever it reads may be
// garbage or hostile: then there is an error, and no more memory is used than some small multiple of what came in.
package wire
