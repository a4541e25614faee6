package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// AddRequest is a mirror to create. A bucket without a name gets its origin's.
type AddRequest struct {
	Bucket   string
	Origin   kvcfg.Origin
	Filters  []string // keys to mirror; none means all
	Settings kvcfg.Settings
	// Update says that a mirror of that origin that exists is brought in line with its
	// origin and the settings.
	Update bool
}

// AddPlan is a mirror that would be created, or updated, or that exists as it was asked
// for.
type AddPlan struct {
	Report
	client *Client
	plan   kvcfg.Plan
	read   addRead
	edit   *EditPlan // of a mirror that exists
}

// addRead is what is read before a mirror is created.
type addRead struct {
	account    jsapi.Account
	accountErr error
	existing   *stream.Info
	existErr   error
	origin     originRead
	at         time.Time // when that was
}

// PlanAdd plans a mirror that follows its origin. What the request leaves open of
// per-key TTL, maximum age, history and maximum value size is the origin's. The plan
// has the action [WouldCreate], or [Unchanged] when the mirror exists and needs no
// change. One that exists and needs some has the action [WouldUpdate], and is an error,
// [ErrExists], unless the request says Update; so is one that no update can make what
// is asked for. An origin that does not exist is [ErrNotFound], and one that cannot be
// read [ErrOriginUnreadable], unless the request says AllowMsgTTL. The plan is valid
// also with an error.
func (c *Client) PlanAdd(ctx context.Context, req AddRequest) (*AddPlan, error) {
	p := &AddPlan{client: c}
	p.Bucket = req.Bucket
	if req.Bucket == "" {
		if !req.Origin.External() {
			return p, fail(ErrInvalid, "a mirror beside its origin needs a name of its own").advise(Advice{Code: OtherNameOrDomain, Bucket: req.Origin.Bucket})
		}
		req.Bucket = req.Origin.Bucket
	}
	if req.Bucket == req.Origin.Bucket && !req.Origin.External() {
		return p, mirrorsItself(req.Bucket)
	}
	if err := kvcfg.ValidateBucket(req.Bucket); err != nil {
		return p, AsError(err)
	}
	p.Bucket, p.Stream = req.Bucket, kvcfg.StreamName(req.Bucket)
	p.read = c.readForAdd(ctx, req)
	p.Origin = p.read.origin.report(p.read.existing)
	if err := p.decide(ctx, req); err != nil {
		return p, AsError(err)
	}
	if p.read.existing != nil {
		return p, p.planUpdate(ctx, req)
	}
	config, err := p.plan.Config.Config()
	if err != nil {
		return p, AsError(err)
	}
	p.Action, p.Changes = WouldCreate, p.plan.Changes
	p.PerKeyTTL, p.Config = &config.AllowMsgTTL, p.plan.Config
	p.Info = &stream.Info{Config: config}
	return p, nil
}

func mirrorsItself(bucket string) error {
	return fail(ErrInvalid, "bucket %q cannot mirror itself", bucket).advise(Advice{Code: OtherNameOrDomain, Bucket: bucket})
}

// readForAdd reads all that decides about the mirror, side by side.
func (c *Client) readForAdd(ctx context.Context, req AddRequest) addRead {
	var r addRead
	var wg sync.WaitGroup
	wg.Go(func() { r.account, r.accountErr = c.own.Account(ctx) })
	wg.Go(func() { r.existing, r.existErr = c.own.Stream(ctx, kvcfg.StreamName(req.Bucket)) })
	wg.Go(func() { r.origin = c.readOrigin(ctx, req.Origin) })
	wg.Wait()
	r.at = time.Now()
	return r
}

// decide makes the plan, or says why there is none.
func (p *AddPlan) decide(ctx context.Context, req AddRequest) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := p.read.existErr; err != nil && !errors.Is(err, jsapi.ErrNotFound) {
		return fmt.Errorf("cannot look for bucket %q: %w", req.Bucket, err)
	}
	if sameAPI(req.Origin.APIPrefix, p.client.Prefix(), p.read.account.Domain) {
		// Servers accept an external origin in their own domain and never
		// connect to it (seen on 2.15.2).
		req.Origin.APIPrefix, req.Origin.DeliverPrefix = "", ""
		if req.Bucket == req.Origin.Bucket {
			return mirrorsItself(req.Bucket)
		}
	}
	if p.read.accountErr != nil && p.read.existing == nil && req.Origin.External() {
		p.Warnings.add("domain-unknown", "which domain the mirror is in was not read (%v): if it is that of its origin, the mirror never connects; leave the origin's domain out then", p.read.accountErr)
	}
	if p.read.existing != nil {
		if err := isMirrorOf(p.read.existing.Config, req); err != nil {
			return err
		}
	}
	if origin := p.read.origin; origin.info == nil {
		if origin.missing() || req.Settings.AllowMsgTTL == nil {
			err := AsError(origin.failure())
			if err.Kind == ErrOriginUnreadable {
				err.advise(Advice{Code: DecideTTL})
			}
			return err
		}
		p.Warnings.add("origin-unreadable", "the origin was not read (%v): that it exists, and its history, maximum age and maximum value size, are not verified", origin.err)
	}
	plan, err := kvcfg.New(kvcfg.NewMirror{Bucket: req.Bucket, Origin: req.Origin, Filters: req.Filters, Settings: req.Settings}, p.read.origin.config())
	if err != nil {
		return err
	}
	p.plan = plan
	if plan.EnablesTTL() && p.read.existing == nil {
		if err := p.checkLevel(); err != nil {
			return err
		}
	}
	if p.read.existing == nil {
		if !req.Origin.External() {
			p.Warnings.add("beside-origin", "clients that open bucket %q find no keys in it: beside its origin they look for them under its own name, and it stores them under that of %q", req.Bucket, req.Origin.Bucket)
		}
		warnOfSettings(&p.Warnings, req.Settings, p.read.origin.config())
	}
	return nil
}

// planUpdate plans what makes a mirror that exists the one that is asked for. What a
// flag chose before and the request does not name stays.
func (p *AddPlan) planUpdate(ctx context.Context, req AddRequest) error {
	existing := p.read.existing
	p.Action = Unchanged
	p.set(existing)
	if changes := p.plan.Unchangeable(existing.Config.Raw()); len(changes) > 0 {
		return p.differs(changes, howToChange(changes, req))
	}
	p.edit = &EditPlan{client: p.client, mirror: existing, origin: p.read.origin, again: existing, readAt: p.read.at}
	p.edit.edits = kvcfg.Edits{Settings: req.Settings, InLine: p.read.origin.info != nil, Usable: true, KeepChosen: !req.Update}
	if p.read.accountErr == nil {
		p.edit.account = &p.read.account
	}
	p.edit.Report = p.Report
	if err := p.edit.decide(ctx); err != nil {
		return AsError(about(p.Bucket, err))
	}
	p.edit.Changes = p.edit.plan.Changes
	if len(p.edit.Changes) > 0 {
		p.edit.Action = WouldUpdate
	}
	p.edit.warn()
	p.Report = p.edit.Report
	if p.Action == WouldUpdate && !req.Update {
		return p.differs(p.Changes, Advice{Code: ConsentToUpdate})
	}
	return nil
}

// differs is the failure that a mirror exists and is not what is asked for.
func (p *AddPlan) differs(changes []kvcfg.Change, advice Advice) *Error {
	e := fail(ErrExists, "bucket %q exists with another configuration", p.Bucket).advise(advice)
	for _, c := range changes {
		e.Differs = append(e.Differs, stream.Difference{Field: c.Field, Have: c.From, Want: c.To})
	}
	return e
}

// howToChange says how a mirror gets what no update changes.
func howToChange(changes []kvcfg.Change, req AddRequest) Advice {
	if slices.ContainsFunc(changes, func(c kvcfg.Change) bool { return c.Field == "storage" }) {
		return Advice{Code: RemoveCopy, Bucket: req.Bucket}
	}
	return Advice{Code: RecreateAs, Bucket: req.Bucket, Filters: filtersOrAll(req)}
}

// filtersOrAll are the filters that make a mirror that exists take the keys of a request.
func filtersOrAll(req AddRequest) []string {
	if req.Filters == nil {
		return []string{">"}
	}
	return req.Filters
}

// sameAPI says whether a prefix leads to the mirror's own API.
func sameAPI(prefix, own, domain string) bool {
	return prefix == "" || prefix == own || domain != "" && prefix == kvcfg.DomainPrefix(domain)
}

// isMirrorOf says why an existing bucket cannot become the mirror that is asked for.
func isMirrorOf(c stream.Config, req AddRequest) error {
	is, err := kvcfg.OriginOf(c)
	origin := req.Origin
	var e *Error
	switch {
	case errors.Is(err, kvcfg.ErrNotMirror):
		e = fail(ErrExists, "%w, and exists", err)
	case err != nil:
		e = fail(ErrExists, "%w", err)
	case is != origin:
		e = fail(ErrExists, "bucket %q exists and mirrors %v, not %v", req.Bucket, is, origin)
		if origin.External() || !is.External() { // no flag takes a prefix away
			e.advise(Advice{Code: RecreateAs, Bucket: req.Bucket, Origin: origin, Filters: req.Filters})
		}
	default:
		return nil
	}
	return e.advise(Advice{Code: OtherName})
}

// checkLevel makes sure that the mirror's server knows per-key TTL.
func (p *AddPlan) checkLevel() error {
	if err := p.read.accountErr; err != nil {
		if errors.Is(err, jsapi.ErrNoJetStream) || errors.Is(err, context.Canceled) {
			return err
		}
		p.Warnings.add("level-unknown", "the mirror's server did not tell what it supports: %v", err)
		return nil
	}
	if p.read.account.Level < stream.TTLAPILevel {
		return p.client.tooOldForTTL(Advice{Code: AddWithoutTTL})
	}
	return nil
}

func (c *Client) tooOldForTTL(advice Advice) *Error {
	return fail(ErrOldServer, "per-key TTL needs API level %d, and the mirror's server at %q has none (connected to version %s)",
		stream.TTLAPILevel, c.Prefix(), c.conn.ServerVersion()).advise(Advice{Code: UpgradeTo, Version: "2.11"}, advice)
}

// warnOfSettings warns of what is allowed and ends badly. origin is nil when it was
// not read.
func warnOfSettings(w *Warnings, s kvcfg.Settings, origin *stream.Config) {
	if s.MaxBucketSize != nil && *s.MaxBucketSize > 0 {
		w.add("stops-when-full", "a mirror that reaches its maximum bucket size stops for good, without an error")
	}
	if origin == nil {
		return
	}
	if s.AllowMsgTTL != nil && *s.AllowMsgTTL != origin.AllowMsgTTL {
		w.add("ttl-differs", "%s", ttlDiffers(origin.AllowMsgTTL))
	}
	if origin.RaisesTTL() && (s.AllowMsgTTL == nil || *s.AllowMsgTTL) {
		w.add(check.OriginRaisesTTL, "%s; upgrade the origin's server to 2.11.9 or later", check.RaisesTTL(*origin))
	}
	if s.MaxValueSize != nil && tooSmall(*s.MaxValueSize, origin.MaxMsgSize) {
		w.add("values-too-large", "the origin allows larger values than the mirror: the first one stops the mirror")
	}
}

func ttlDiffers(origin bool) string {
	if origin {
		return "the origin has per-key TTL and the mirror has not: what expires at the origin stays here forever"
	}
	return "the mirror has per-key TTL and the origin has not: what carries a TTL disappears here alone"
}

// tooSmall compares limits of which 0 and below mean none.
func tooSmall(limit, origin int64) bool { return limit > 0 && (origin <= 0 || limit < origin) }

// warnOfReplicas warns of replicas that no server holds: servers up to 2.12 accept
// any number outside of a cluster.
func (r *Report) warnOfReplicas(s kvcfg.Settings) {
	info := r.Info
	if s.Replicas != nil && info.Config.Replicas > 1 && (info.Cluster == nil || len(info.Cluster.Replicas) == 0) {
		r.Warnings.add("no-replicas", "the server accepted %d replicas and is in no cluster that could hold them", info.Config.Replicas)
	}
}

// Apply creates or updates the mirror. The result is valid also with an error.
func (p *AddPlan) Apply(ctx context.Context) (*Report, error) {
	switch {
	case p.Action == WouldUpdate:
		r, err := p.edit.Apply(ctx)
		p.Report = *r
		return &p.Report, err
	case p.Action != WouldCreate:
		return &p.Report, nil
	}
	created, err := p.client.create(ctx, p.plan.Config)
	if created != nil {
		p.set(created)
		p.Origin = p.read.origin.report(created)
	}
	if err != nil {
		return &p.Report, err
	}
	p.Action = Created
	return &p.Report, nil
}
