// Verifies logs of weir's with nothing of weir's: Go's sumdb packages and the published formats (C2SP signed-note,
// tlog-checkpoint, tlog-cosignature, tlog-tiles, tlog-proof).
//
//	independent tiles DIR -key VKEY [-witness VKEY]... [-kept FILE]...
//	independent proof FILE -key VKEY [-witness VKEY]... -leaf FILE
//	independent lines FILE -key VKEY [-witness VKEY]...
//
// Prints what is wrong, one line each, and ends with 1; or says what it has verified.
package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

var wrong int

func problem(format string, values ...any) {
	wrong++
	fmt.Printf(format+"\n", values...)
}

func die(err error) {
	fmt.Println(err)
	os.Exit(1)
}

type options struct {
	path      string
	keys      []string
	witnesses []string
	kept      []string
	leaf      string
}

func main() {
	if len(os.Args) < 3 {
		die(fmt.Errorf("usage: independent tiles|proof|lines PATH -key VKEY [-witness VKEY]... [-kept FILE]... [-leaf FILE]"))
	}
	opts := options{path: os.Args[2]}
	for i := 3; i+1 < len(os.Args); i += 2 {
		value := os.Args[i+1]
		switch os.Args[i] {
		case "-key":
			opts.keys = append(opts.keys, value)
		case "-witness":
			opts.witnesses = append(opts.witnesses, value)
		case "-kept":
			opts.kept = append(opts.kept, value)
		case "-leaf":
			opts.leaf = value
		default:
			die(fmt.Errorf("there is no option %s", os.Args[i]))
		}
	}
	switch os.Args[1] {
	case "tiles":
		verifyTiles(opts)
	case "proof":
		verifyProof(opts)
	case "lines":
		verifyLines(opts)
	default:
		die(fmt.Errorf("there is no command %s", os.Args[1]))
	}
	if wrong > 0 {
		fmt.Printf("%d problems\n", wrong)
		os.Exit(1)
	}
}

// ---- notes and checkpoints ----

// A witness's key: signatures of type 0x04, over the time and the checkpoint (C2SP tlog-cosignature).
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }
func (c *cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(sig), msg)
	return ed25519.Verify(c.key, []byte(signed), sig[8:])
}

func newCosigner(vkey string) (*cosigner, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, fmt.Errorf("%q is no verifier key", vkey)
	}
	hash, err := strconv.ParseUint(parts[1], 16, 32)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, err
	}
	if len(key) != 1+ed25519.PublicKeySize || key[0] != 0x04 {
		return nil, fmt.Errorf("%q is no key of a witness", vkey)
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	if binary.BigEndian.Uint32(sum[:]) != uint32(hash) {
		return nil, fmt.Errorf("%q does not have the id it should", vkey)
	}
	return &cosigner{parts[0], uint32(hash), key[1:]}, nil
}

type verifiers struct {
	list      note.Verifiers
	logs      map[uint32]bool
	witnesses map[uint32]string
}

func readKeys(opts options) verifiers {
	var all []note.Verifier
	logs := map[uint32]bool{}
	witnesses := map[uint32]string{}
	for _, vkey := range opts.keys {
		v, err := note.NewVerifier(vkey)
		if err != nil {
			die(fmt.Errorf("%s: %w", vkey, err))
		}
		all = append(all, v)
		logs[v.KeyHash()] = true
	}
	for _, vkey := range opts.witnesses {
		v, err := newCosigner(vkey)
		if err != nil {
			die(err)
		}
		all = append(all, v)
		witnesses[v.hash] = v.name
	}
	return verifiers{note.VerifierList(all...), logs, witnesses}
}

type checkpoint struct {
	origin string
	tree   tlog.Tree
	seenBy map[uint32]bool
}

func openCheckpoint(msg []byte, keys verifiers) (*checkpoint, error) {
	opened, err := note.Open(msg, keys.list)
	if err != nil {
		return nil, err
	}
	byLog := false
	seenBy := map[uint32]bool{}
	for _, sig := range opened.Sigs {
		byLog = byLog || keys.logs[sig.Hash]
		seenBy[sig.Hash] = true
	}
	if !byLog {
		return nil, fmt.Errorf("it is not signed by the log")
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 {
		return nil, fmt.Errorf("it is no checkpoint")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return nil, err
	}
	hash, err := tlog.ParseHash(lines[2])
	if err != nil {
		return nil, err
	}
	return &checkpoint{lines[0], tlog.Tree{N: size, Hash: hash}, seenBy}, nil
}

// ---- tiles ----

func numberPath(n int64, width int) string {
	path := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	if width < tileWidth {
		path += fmt.Sprintf(".p/%d", width)
	}
	return path
}

// Reads tiles from a folder; tlog itself checks each of them against the tree's root.
type folder struct{ path string }

func (f folder) Height() int                                { return tileHeight }
func (f folder) SaveTiles(tiles []tlog.Tile, data [][]byte) {}
func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		level := filepath.Join(f.path, "tile", strconv.Itoa(tile.L))
		whole, err := os.ReadFile(filepath.Join(level, numberPath(tile.N, tile.W)))
		if err != nil && tile.W < tileWidth {
			whole, err = os.ReadFile(filepath.Join(level, numberPath(tile.N, tileWidth)))
		}
		if err != nil {
			return nil, err
		}
		if len(whole) < tile.W*tlog.HashSize {
			return nil, fmt.Errorf("tile %s is too short", tile.Path())
		}
		data[i] = whole[:tile.W*tlog.HashSize]
	}
	return data, nil
}

// The entries of a bundle, or an error when it is not there.
func readBundle(path string, n int64, size int64) ([][]byte, error) {
	width := tileWidth
	if rest := size - n*tileWidth; rest < tileWidth {
		width = int(rest)
	}
	base := filepath.Join(path, "tile", "entries")
	data, err := os.ReadFile(filepath.Join(base, numberPath(n, width)))
	if err != nil {
		data, err = os.ReadFile(filepath.Join(base, numberPath(n, tileWidth)))
	}
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(entries) < width {
		if len(data) < 2 {
			return nil, fmt.Errorf("the bundle of entry %d is too short", n*tileWidth)
		}
		length := int(binary.BigEndian.Uint16(data))
		if len(data) < 2+length {
			return nil, fmt.Errorf("the bundle of entry %d is too short", n*tileWidth)
		}
		entries = append(entries, data[2:2+length])
		data = data[2+length:]
	}
	return entries, nil
}

// What every entry must say of itself, whatever else it says.
func checkLeaf(index int64, leaf []byte) {
	var fields struct {
		Index   *int64 `json:"index"`
		Version int    `json:"version"`
		Event   string `json:"event"`
	}
	if err := json.Unmarshal(leaf, &fields); err != nil {
		problem("entry %d: is not JSON: %v", index, err)
	} else if fields.Index == nil || *fields.Index != index {
		problem("entry %d: does not say that it is entry %d", index, index)
	} else if fields.Version != 1 || fields.Event == "" {
		problem("entry %d: has no known version or no event", index)
	}
}

// Hashes by their number in tlog's own order, computed from the entries.
type memory []tlog.Hash

func (m memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(m)) {
			return nil, fmt.Errorf("the tree has no hash %d", index)
		}
		hashes[i] = m[index]
	}
	return hashes, nil
}

func verifyTiles(opts options) {
	keys := readKeys(opts)
	msg, err := os.ReadFile(filepath.Join(opts.path, "checkpoint"))
	if err != nil {
		die(err)
	}
	head, err := openCheckpoint(msg, keys)
	if err != nil {
		die(fmt.Errorf("checkpoint: %w", err))
	}
	for hash, name := range keys.witnesses {
		if !head.seenBy[hash] {
			problem("checkpoint: is not cosigned by %s", name)
		}
	}
	stored := tlog.TileHashReader(head.tree, folder{opts.path})
	var computed memory
	var entries, missing int64
	for n := int64(0); n*tileWidth < head.tree.N; n++ {
		bundle, err := readBundle(opts.path, n, head.tree.N)
		if os.IsNotExist(err) {
			missing++
			continue
		}
		if err != nil {
			problem("%v", err)
			missing++
			continue
		}
		var indexes []int64
		for i, leaf := range bundle {
			index := n*tileWidth + int64(i)
			checkLeaf(index, leaf)
			indexes = append(indexes, tlog.StoredHashIndex(0, index))
			if missing == 0 {
				hashes, err := tlog.StoredHashes(index, leaf, computed)
				if err != nil {
					die(err)
				}
				computed = append(computed, hashes...)
			}
		}
		// The tiles, each checked by tlog against the signed root.
		known, err := stored.ReadHashes(indexes)
		if err != nil {
			problem("entries %d to %d: %v", n*tileWidth, n*tileWidth+int64(len(bundle))-1, err)
		} else {
			for i, leaf := range bundle {
				if tlog.RecordHash(leaf) != known[i] {
					problem("entry %d: was changed: its hash is not in the signed tree", n*tileWidth+int64(i))
				}
			}
		}
		entries += int64(len(bundle))
	}
	whole := missing == 0
	if whole {
		root, err := tlog.TreeHash(head.tree.N, computed)
		if err != nil {
			die(err)
		}
		if root != head.tree.Hash {
			problem("checkpoint: its root is not that of the %d entries", head.tree.N)
		}
	}
	var reader tlog.HashReader = stored
	if whole {
		reader = computed
	}
	checkOthers(opts, keys, head, reader)
	if wrong == 0 {
		sampleInclusion(opts, head, stored)
	}
	if wrong == 0 {
		part := "all"
		if !whole {
			part = fmt.Sprint(entries)
		}
		fmt.Printf("verified %s: %s of %d entries\n", head.origin, part, head.tree.N)
	}
}

// Every other checkpoint is signed, and the tree is an extension of it.
func checkOthers(opts options, keys verifiers, head *checkpoint, reader tlog.HashReader) {
	files := append([]string{}, opts.kept...)
	names, _ := filepath.Glob(filepath.Join(opts.path, "checkpoints", "*"))
	files = append(files, names...)
	sort.Strings(files)
	for _, file := range files {
		msg, err := os.ReadFile(file)
		if err != nil {
			die(err)
		}
		name := filepath.Base(file)
		other, err := openCheckpoint(msg, keys)
		if err != nil {
			problem("%s: %v", name, err)
			continue
		}
		if other.origin != head.origin {
			problem("%s: is of another log, %s", name, other.origin)
		} else if other.tree.N > head.tree.N {
			problem("%s: is of %d entries, and there are %d: the end of the log was cut off", name, other.tree.N, head.tree.N)
		} else if other.tree.N > 0 {
			proof, err := tlog.ProveTree(head.tree.N, other.tree.N, reader)
			if err == nil {
				err = tlog.CheckTree(proof, head.tree.N, head.tree.Hash, other.tree.N, other.tree.Hash)
			}
			if err != nil {
				problem("%s: the log was rewritten below %d entries: %v", name, other.tree.N, err)
			}
		}
	}
}

// Inclusion proofs as a client makes them, from the tiles alone.
func sampleInclusion(opts options, head *checkpoint, stored tlog.HashReader) {
	for n := int64(0); n*tileWidth < head.tree.N; n++ {
		bundle, err := readBundle(opts.path, n, head.tree.N)
		if err != nil {
			continue
		}
		index := n*tileWidth + int64(len(bundle))/2
		proof, err := tlog.ProveRecord(head.tree.N, index, stored)
		if err == nil {
			err = tlog.CheckRecord(proof, head.tree.N, head.tree.Hash, index, tlog.RecordHash(bundle[index-n*tileWidth]))
		}
		if err != nil {
			problem("entry %d: %v", index, err)
		}
	}
}

// ---- proofs ----

// C2SP tlog-proof: the format's name, the index, the hashes, an empty line, the checkpoint.
func verifyProof(opts options) {
	data, err := os.ReadFile(opts.path)
	if err != nil {
		die(err)
	}
	leaf, err := os.ReadFile(opts.leaf)
	if err != nil {
		die(err)
	}
	head, msg, found := bytes.Cut(data, []byte("\n\n"))
	if !found {
		die(fmt.Errorf("%s is no tlog-proof", opts.path))
	}
	lines := strings.Split(string(head), "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" {
		die(fmt.Errorf("%s is no tlog-proof", opts.path))
	}
	lines = lines[1:]
	if strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:]
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "index "), 10, 64)
	if err != nil {
		die(err)
	}
	checkInclusion(opts, msg, index, lines[1:], leaf)
	if wrong == 0 {
		fmt.Printf("verified entry %d\n", index)
	}
}

func checkInclusion(opts options, msg []byte, index int64, encoded []string, leaf []byte) {
	signed, err := openCheckpoint(msg, readKeys(opts))
	if err != nil {
		die(err)
	}
	var proof tlog.RecordProof
	for _, line := range encoded {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			die(err)
		}
		proof = append(proof, hash)
	}
	checkLeaf(index, leaf)
	if err := tlog.CheckRecord(proof, signed.tree.N, signed.tree.Hash, index, tlog.RecordHash(leaf)); err != nil {
		problem("entry %d: %v", index, err)
	}
}

// JSON lines with proofs, and the checkpoint as the last line.
func verifyLines(opts options) {
	file, err := os.Open(opts.path)
	if err != nil {
		die(err)
	}
	defer file.Close()
	type line struct {
		Index      int64           `json:"index"`
		Proof      []string        `json:"proof"`
		Leaf       json.RawMessage `json:"leaf"`
		Checkpoint string          `json:"checkpoint"`
	}
	var lines []line
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	var msg string
	for scanner.Scan() {
		var next line
		if err := json.Unmarshal(scanner.Bytes(), &next); err != nil {
			die(err)
		}
		if next.Checkpoint != "" {
			msg = next.Checkpoint
		} else {
			lines = append(lines, next)
		}
	}
	for _, each := range lines {
		checkInclusion(opts, []byte(msg), each.Index, each.Proof, each.Leaf)
	}
	if wrong == 0 {
		fmt.Printf("verified %d lines\n", len(lines))
	}
}
