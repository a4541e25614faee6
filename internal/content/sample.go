package content

import "context"

// A quick comparison reads samples ranges of sampleSize sequences.
const (
	samples    = 8
	sampleSize = 500
)

// sample compares some ranges and says whether all messages in them are the same.
func (c *Comparer) sample(ctx context.Context, now snapshot, result *Result) (bool, error) {
	cl, err := now.classifier()
	if err != nil {
		return false, err
	}
	alike := true
	var compared uint64
	for _, r := range sampleOf(now.all()) {
		err := c.walk(ctx, now, r, func(p pair) error {
			if class, _, _ := cl.classify(p); class != same {
				alike = false
			} else {
				compared++
			}
			return nil
		})
		if err != nil || !alike {
			return false, err
		}
	}
	result.Verdict, result.Compared, result.Through, result.Skew = Alike, compared, now.to, now.skew()
	return true, nil
}

// sampleOf spreads samples over a range. The first and the last sequence are among
// them.
func sampleOf(all Range) []Range {
	if all.To < all.From || all.To-all.From < samples*sampleSize {
		return []Range{all}
	}
	var ranges []Range
	step := (all.To - all.From + 1 - sampleSize) / (samples - 1)
	for i := range uint64(samples - 1) {
		from := all.From + i*step
		ranges = append(ranges, Range{from, from + sampleSize - 1})
	}
	return append(ranges, Range{all.To - sampleSize + 1, all.To})
}
