// Package golden makes wire bytes with Thanos' own types, by which Stride's are tested. Each version of Thanos is a module of its own below
// this one, with nothing but a list of its types: what is in the messages, and how it is written down, is the same for all and here.
package golden
