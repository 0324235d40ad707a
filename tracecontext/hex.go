package tracecontext

import "encoding/binary"

// Hex digits are read and written eight at a time: a uint64 holds eight bytes, and
// each byte is one digit. Multiplied by each, a number of one byte is repeated in all
// eight. The sums below never carry from one byte into the next, because every byte is
// under 0x80.
const (
	each    = 0x0101010101010101
	highBit = 0x80 * each

	low = 1<<32 - 1 // the lower half of a uint64
)

// hex8 returns the first eight bytes of s, the first one highest.
func hex8(s string) uint64 { return binary.BigEndian.Uint64([]byte(s)) }

// notHex returns zero if all eight bytes of x are lower-case hex digits.
func notHex(x uint64) uint64 {
	c := x &^ highBit
	digit := (c ^ '0'*each) + (0x7f-9)*each // the high bit is clear for '0' to '9'
	letter := c ^ ('a'-1)*each              // 'a' to 'f' become 1 to 6
	over := letter + (0x7f-6)*each          // the high bit is clear if letter is 6 or less
	under := letter + 0x7f*each             // the high bit is set if letter is 1 or more
	return (digit&(over|^under) | x) & highBit
}

// fromHex returns the value of eight hex digits.
func fromHex(x uint64) uint64 {
	x = x&(0x0f*each) + x>>6&each*9 // one digit's value per byte
	x = (x | x>>4) & 0x00ff00ff00ff00ff
	x = (x | x>>8) & 0x0000ffff0000ffff
	return (x | x>>16) & low
}

// hex2 decodes two lower-case hex digits.
func hex2(hi, lo byte) (byte, bool) {
	h, l := hexValue[hi], hexValue[lo]
	return h<<4 | l&0x0f, (h|l)&0xf0 == 0
}

// notHexValue is what hexValue has for bytes that are no hex digits.
const notHexValue = 0xff

// hexValue is the value of each lower-case hex digit.
var hexValue = func() (t [256]byte) {
	for i := range t {
		t[i] = notHexValue
	}
	for i := range byte(10) {
		t['0'+i] = i
	}
	for i := range byte(6) {
		t['a'+i] = 10 + i
	}
	return t
}()

// putHex8 writes x, which is less than 1<<32, as eight lower-case hex digits.
func putHex8(dst []byte, x uint64) {
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	x = (x | x<<4) & (0x0f * each)
	letters := (x + 6*each) >> 4 & each // 1 in each byte over 9
	binary.BigEndian.PutUint64(dst, x+'0'*each+letters*('a'-'0'-10))
}
