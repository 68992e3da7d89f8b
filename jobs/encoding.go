package jobs

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// decoded returns the text of r as UTF-8. It may be UTF-16 with a byte order
// mark, as Windows writes it; anything else is left as it is.
func decoded(r io.Reader) io.Reader {
	in := bufio.NewReader(r)
	mark, _ := in.Peek(2) // Read gives the error again
	switch string(mark) {
	case "\xff\xfe":
		return &utf16Reader{in: in, order: binary.LittleEndian}
	case "\xfe\xff":
		return &utf16Reader{in: in, order: binary.BigEndian}
	}
	return in
}

// A utf16Reader converts UTF-16 to UTF-8. Invalid UTF-16 becomes invalid UTF-8.
type utf16Reader struct {
	in    *bufio.Reader
	order binary.ByteOrder
	out   []byte // of one character, yet to be read
	next  uint16 // read ahead; 0 if there is none
}

func (u *utf16Reader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(u.out) == 0 {
			if n > 0 && u.in.Buffered() < 4 {
				break // rather than wait for more
			}
			if err = u.fill(); err != nil {
				break
			}
		}
		k := copy(p[n:], u.out)
		u.out = u.out[k:]
		n += k
	}
	if n > 0 {
		return n, nil // the error comes again
	}
	return 0, err
}

// fill reads one character.
func (u *utf16Reader) fill() error {
	first, err := u.unit()
	if err != nil {
		return err
	}
	r := rune(first)
	if utf16.IsSurrogate(r) {
		second, err := u.unit()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		pair := utf16.DecodeRune(r, rune(second))
		if pair == utf8.RuneError {
			u.out, u.next = []byte{0xff}, second
			return nil
		}
		r = pair
	}
	u.out = utf8.AppendRune(u.out[:0], r)
	return nil
}

// unit reads 16 bits. A last byte without its other half is not a character.
func (u *utf16Reader) unit() (uint16, error) {
	if next := u.next; next != 0 {
		u.next = 0
		return next, nil
	}
	var two [2]byte
	_, err := io.ReadFull(u.in, two[:])
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return 0xdc00, nil // half of a pair
	}
	return u.order.Uint16(two[:]), err
}
