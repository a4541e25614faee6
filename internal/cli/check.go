package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/content"
	"nats-kvmirror/internal/fleet"
	"nats-kvmirror/internal/render"
)

// checkOptions are the flags of check.
type checkOptions struct {
	buckets    []string
	ignore     []string
	expect     *int64
	format     string
	lagWarn    *int64
	lagCrit    *int64
	seenWarn   *time.Duration
	seenCrit   *time.Duration
	messages   contentOptions
	quick      bool
	thresholds check.Thresholds // what the flags leave of the defaults
}

func addCheck(app *fisk.Application, rt *runtime, selected func(command)) {
	o := &checkOptions{}
	cmd := app.Command("check", "Finds what is wrong with mirrors, for people and monitoring systems")
	cmd.Tag("scope:user", "impact:ro")
	cmd.HelpLong("Exit codes are those of monitoring plugins in every format: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. Whatever could not be looked at is UNKNOWN.\n\nWith --content, all messages of mirror and origin are read, without their bodies, and compared one by one; what differs is looked at a second time.\n\nFindings: " + strings.Join(check.Codes(), ", "))
	d := check.DefaultThresholds()
	cmd.Arg("bucket", "The mirrors to check; all when left out").StringsVar(&o.buckets)
	countFlag(cmd.Flag("lag-warn", fmt.Sprintf("Warn of a mirror that is more messages behind its origin's last sequence; default %d", d.LagWarn)), "lag-warn", &o.lagWarn).PlaceHolder("MSGS")
	countFlag(cmd.Flag("lag-critical", fmt.Sprintf("The same, critical; default %d", d.LagCritical)), "lag-critical", &o.lagCrit).PlaceHolder("MSGS")
	durationFlag(cmd.Flag("seen-warn", fmt.Sprintf("Warn of a mirror that has not heard of its origin for longer; default %v", d.SeenWarn)), "seen-warn", &o.seenWarn).PlaceHolder("DURATION")
	durationFlag(cmd.Flag("seen-critical", fmt.Sprintf("The same, critical; default %v", d.SeenCritical)), "seen-critical", &o.seenCrit).PlaceHolder("DURATION")
	cmd.Flag("ignore", "Leave out the findings with this code (can be repeated)").PlaceHolder("CODE").HintOptions(check.Codes()...).StringsVar(&o.ignore)
	countFlag(cmd.Flag("expect", "How many mirrors there must be"), "expect", &o.expect).PlaceHolder("MIRRORS")
	o.messages.addContent(cmd, "Compare the messages of mirror and origin one by one", "With --content, ")
	cmd.Flag("quick", "With --content, be content with a sample where all counts agree").UnNegatableBoolVar(&o.quick)
	cmd.Flag("format", "Format of the result (nagios, json, prometheus, text)").Default("nagios").PlaceHolder("FORMAT").EnumVar(&o.format, render.Formats()...)
	jsonFlag(cmd, rt)
	cmd.Action(func(*fisk.ParseContext) error {
		selected(func(ctx context.Context) int { return o.finish(rt, o.run(ctx, rt)) })
		return nil
	})
}

// checkResult is what a check came to.
type checkResult struct {
	fleet    render.Fleet
	contents []*render.Content // by mirror, if they were compared
	err      error             // why nothing could be looked at
	style    render.Style
}

func (o *checkOptions) complete() error {
	o.thresholds = check.DefaultThresholds()
	for flag, v := range map[string]*int64{"lag-warn": o.lagWarn, "lag-critical": o.lagCrit, "expect": o.expect} {
		if v != nil && *v < 0 {
			return fail(kindUsage, "", "--%s: %d is negative", flag, *v)
		}
	}
	if o.lagWarn != nil {
		o.thresholds.LagWarn = uint64(*o.lagWarn)
	}
	if o.lagCrit != nil {
		o.thresholds.LagCritical = uint64(*o.lagCrit)
	}
	if o.seenWarn != nil {
		o.thresholds.SeenWarn = *o.seenWarn
	}
	if o.seenCrit != nil {
		o.thresholds.SeenCritical = *o.seenCrit
	}
	if o.quick && !o.messages.content {
		return fail(kindUsage, "", "--quick needs --content")
	}
	for _, code := range o.ignore {
		if !slices.Contains(check.Codes(), code) {
			return fail(kindUsage, "the codes are "+strings.Join(check.Codes(), ", "), "--ignore: there is no finding %q", code)
		}
	}
	return o.messages.complete(o.messages.content)
}

func (o *checkOptions) run(ctx context.Context, rt *runtime) checkResult {
	r := checkResult{fleet: render.Fleet{Action: render.Checked}}
	if r.err = o.complete(); r.err != nil {
		return r
	}
	s, err := rt.connect(ctx)
	if err != nil {
		r.err = err
		return r
	}
	defer s.conn.Close()
	r.style = s.style
	read, err := rt.readFleet(ctx, s, o.buckets)
	if err != nil {
		r.err = fmt.Errorf("cannot read the mirrors: %w", err)
		return r
	}
	if o.messages.content {
		r.contents, r.err = o.compare(ctx, rt, s, read)
		if r.err != nil {
			return r
		}
	}
	for i, m := range read.Mirrors {
		member := member(m, s.own.Prefix(), check.Findings(m.Facts, o.thresholds, o.ignore...))
		if o.messages.content {
			member.Content = r.contents[i]
		}
		r.fleet.Mirrors = append(r.fleet.Mirrors, member)
	}
	r.fleet.Findings = o.fleetFindings(read)
	for _, p := range read.Problems {
		r.fleet.Problems = append(r.fleet.Problems, p.Error())
	}
	return r
}

// compare compares the messages of the mirrors, one mirror after the other, and
// completes their facts.
func (o *checkOptions) compare(ctx context.Context, rt *runtime, s *session, read fleet.Fleet) ([]*render.Content, error) {
	file, err := createItemFile(o.messages.outfile)
	if err != nil {
		return nil, err
	}
	defer stayModest()()
	var contents []*render.Content
	for i := range read.Mirrors {
		m := &read.Mirrors[i]
		c := o.messages.comparer(s, *m)
		c.Quick = o.quick
		compared, err := rt.compare(ctx, s, &o.messages, *m, c, func(item content.Item) error { return file.add(m.Bucket, item) })
		if ctx.Err() != nil {
			return nil, errors.Join(ctx.Err(), file.close())
		}
		contents = append(contents, compared)
		m.Facts.Content = contentFacts(compared, err)
	}
	return contents, file.close()
}

// fleetFindings are the findings about the fleet as a whole.
func (o *checkOptions) fleetFindings(read fleet.Fleet) []check.Finding {
	facts := check.FleetFacts{Mirrors: len(read.Mirrors), Named: len(o.buckets) > 0, Expected: o.expect}
	for _, p := range read.Problems {
		facts.Problems = append(facts.Problems, p.Unreadable())
	}
	return withFixes(check.FleetFindings(facts, o.ignore...))
}

// finish shows the result and returns the exit code of a monitoring plugin.
func (o *checkOptions) finish(rt *runtime, r checkResult) int {
	status := check.Worst(r.fleet.Findings)
	for _, m := range r.fleet.Mirrors {
		status = status.Worse(m.State)
	}
	if r.err != nil {
		status = check.Unknown
		_, r.fleet.Error = rt.verdict(r.err)
		r.fleet.Action = render.Failed
		problem := check.Unreadable{Reason: check.ReasonUnreachable, Detail: r.fleet.Error.Message}
		r.fleet.Findings = check.FleetFindings(check.FleetFacts{Named: true, Problems: []check.Unreadable{problem}})
		r.fleet.Findings[0].Fix = r.fleet.Error.Hint
	}
	r.fleet.Status = &status
	code := map[check.Severity]int{check.OK: 0, check.Warning: 1, check.Critical: 2, check.Unknown: 3}[status]
	if rt.json {
		if rt.document(r.fleet, r.fleet.Action, exitOK) != exitOK {
			return 3
		}
		return code
	}
	_, err := io.WriteString(rt.Out, render.Monitor(r.fleet, o.thresholds, o.format))
	if err == nil && (o.format == "nagios" || o.format == "text") {
		err = render.Contents(rt.Out, r.fleet.Mirrors, r.style)
	}
	if err != nil {
		_, _ = rt.verdict(errors.Join(errors.New("cannot write the result"), err))
		return 3
	}
	return code
}
