package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/render"
)

// checkOptions are the flags of check.
type checkOptions struct {
	contentFlags
	buckets            []string
	ignore             []string
	expect             *int64
	format, output     string
	lagWarn, lagCrit   *int64
	seenWarn, seenCrit *time.Duration
	content, quick     bool
	thresholds         check.Thresholds // what the flags leave of the defaults
}

func addCheck(app *fisk.Application, rt *runtime, selected func(command)) {
	o := &checkOptions{}
	cmd := app.Command("check", "Finds what is wrong with mirrors, for people and monitoring systems")
	cmd.Tag("scope:user", "impact:ro")
	cmd.HelpLong("Exit codes are those of monitoring plugins in every format: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. What could not be read is UNKNOWN.\n\nWith --content, all messages of mirror and origin are read, without their bodies, and compared one by one; those that differ are read a second time.\n\nFindings, each with a section in docs/findings.md: " + strings.Join(check.Codes(), ", "))
	d := check.DefaultThresholds()
	cmd.Arg("bucket", "The mirrors to check; all when left out").StringsVar(&o.buckets)
	countFlag(cmd.Flag("lag-warn", fmt.Sprintf("Warn of a mirror that is more messages behind its origin's last sequence; default %d", d.LagWarn)), "lag-warn", &o.lagWarn).PlaceHolder("MSGS")
	countFlag(cmd.Flag("lag-critical", fmt.Sprintf("The same, critical; default %d", d.LagCritical)), "lag-critical", &o.lagCrit).PlaceHolder("MSGS")
	durationFlag(cmd.Flag("seen-warn", fmt.Sprintf("Warn of a mirror whose link was last active longer ago; default %v", d.SeenWarn)), "seen-warn", &o.seenWarn).PlaceHolder("DURATION")
	durationFlag(cmd.Flag("seen-critical", fmt.Sprintf("The same, critical; default %v", d.SeenCritical)), "seen-critical", &o.seenCrit).PlaceHolder("DURATION")
	cmd.Flag("ignore", "Leave out the findings with this code (can be repeated)").PlaceHolder("CODE").HintOptions(check.Codes()...).StringsVar(&o.ignore)
	countFlag(cmd.Flag("expect", "How many mirrors there must be"), "expect", &o.expect).PlaceHolder("MIRRORS")
	cmd.Flag("content", "Compare the messages of mirror and origin one by one").UnNegatableBoolVar(&o.content)
	o.contentFlags.addTo(cmd, "With --content, ")
	cmd.Flag("quick", "With --content, compare the sequences of all messages, and read only those whose sequences differ; where that is not possible, all are read").UnNegatableBoolVar(&o.quick)
	cmd.Flag("format", "Format of the result (nagios, json, prometheus, text); default text on a terminal, nagios elsewhere").PlaceHolder("FORMAT").EnumVar(&o.format, formats()...)
	cmd.Flag("output", "Write the result to this file, whole or not at all, and nothing to stdout").PlaceHolder("FILE").StringVar(&o.output)
	domainsFlag(cmd, rt)
	outputFlags(cmd, rt)
	cmd.Action(func(*fisk.ParseContext) error {
		selected(func(ctx context.Context) int {
			rt.json = rt.json || o.format == "json"
			f, err := o.run(ctx, rt)
			return o.finish(rt, f, err)
		})
		return nil
	})
}

func (o *checkOptions) complete() error {
	o.thresholds = check.DefaultThresholds()
	for _, f := range []struct {
		name  string
		value *int64
		to    *uint64
	}{{"lag-warn", o.lagWarn, &o.thresholds.LagWarn}, {"lag-critical", o.lagCrit, &o.thresholds.LagCritical}, {"expect", o.expect, new(uint64)}} {
		if f.value == nil {
			continue
		}
		if *f.value < 0 {
			return fail(kindUsage, "", "--%s: %d is negative", f.name, *f.value)
		}
		*f.to = uint64(*f.value)
	}
	if o.seenWarn != nil {
		o.thresholds.SeenWarn = *o.seenWarn
	}
	if o.seenCrit != nil {
		o.thresholds.SeenCritical = *o.seenCrit
	}
	switch {
	case o.quick && !o.content:
		return fail(kindUsage, "", "--quick needs --content")
	case o.quick && o.payload:
		return fail(kindUsage, "", "--quick reads no bodies: leave out --payload")
	case o.contentFlags.given() && !o.content:
		return fail(kindUsage, "", "--payload, --limit, --differences and --rate need --content")
	}
	for _, code := range o.ignore {
		if !slices.Contains(check.Codes(), code) {
			return fail(kindUsage, "the codes are "+strings.Join(check.Codes(), ", "), "--ignore: there is no finding %q", code)
		}
	}
	return o.contentFlags.complete()
}

func (o *checkOptions) run(ctx context.Context, rt *runtime) (mirror.Fleet, error) {
	f := &mirror.Fleet{Action: mirror.Checked}
	if err := o.complete(); err != nil {
		return *f, err
	}
	c, err := rt.connect(ctx)
	if err != nil {
		return *f, err
	}
	defer c.Close()
	req := mirror.CheckRequest{Buckets: o.buckets, Thresholds: o.thresholds, Ignore: o.ignore, Expect: o.expect}
	finish := func() error { return nil }
	if o.content {
		var opts mirror.ContentOptions
		if opts, finish, err = o.contentFlags.options(); err != nil {
			return *f, err
		}
		opts.Quick = o.quick
		req.Content = &opts
	}
	f, err = c.Check(ctx, req)
	return *f, errors.Join(err, finish())
}

// finish writes the result and returns the exit code of a monitoring plugin.
func (o *checkOptions) finish(rt *runtime, f mirror.Fleet, err error) int {
	if err != nil {
		_, f.Error = rt.verdict(err)
		f.Action, f.Status = mirror.Failed, new(check.Unknown)
		f.Findings = []check.Finding{{Code: "unreadable", Severity: check.Unknown, Message: f.Error.Message, Remedy: check.None, Advice: f.Error.Hint}}
	}
	f.Type = rt.documentType()
	rt.complete(&f)
	code := map[check.Severity]int{check.OK: 0, check.Warning: 1, check.Critical: 2, check.Unknown: 3}[*f.Status]
	var b bytes.Buffer
	err = o.show(&b, rt, f)
	switch {
	case err != nil:
	case o.output != "":
		err = writeWhole(o.output, b.Bytes())
	case rt.json:
		_, err = rt.stdout.Write(b.Bytes())
	default:
		_, err = rt.Out.Write(b.Bytes())
	}
	if err != nil {
		_, _ = rt.verdict(fmt.Errorf("the result is lost: %w", err))
		return 3
	}
	return code
}

// formats are the formats of a result.
func formats() []string { return []string{"nagios", "json", "prometheus", "text"} }

// show writes the result in its format, which is for people on a terminal.
func (o *checkOptions) show(w writer, rt *runtime, f mirror.Fleet) error {
	style := rt.style
	if o.output != "" {
		style.Terminal = false
	}
	switch {
	case rt.json:
		return render.JSON(w, f)
	case o.format == "prometheus":
		if len(f.Domains) == 0 { // it came to nothing before any was asked
			f.Domains = rt.named()
		}
		return render.Metrics(w, f, time.Now())
	case o.format == "text" || o.format == "" && o.output == "" && isTerminal(rt.Out):
		defer rt.showHints(rt.hintsOf(f.Warnings))
		return errors.Join(render.Findings(w, f, rt.fixer(o.buckets), style), render.Contents(w, f.Mirrors, style))
	}
	return errors.Join(render.Nagios(w, f, o.thresholds), render.Contents(w, f.Mirrors, style))
}
