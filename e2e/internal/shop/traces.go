package shop

import (
	"fmt"
	"time"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

const (
	ms        = time.Millisecond
	info      = logspb.SeverityNumber_SEVERITY_NUMBER_INFO
	warn      = logspb.SeverityNumber_SEVERITY_NUMBER_WARN
	logError  = logspb.SeverityNumber_SEVERITY_NUMBER_ERROR
	sqlSelect = "SELECT id, sku, quantity FROM cart_items WHERE cart_id = $1"
)

// Checkout is an order: the gateway asks checkout, which asks the cart, the
// stock and the payment, and leaves the mail to a queue. A failed one ends at
// the payment.
func Checkout(seed uint64, start time.Time, failed bool) *Trace {
	t := NewTrace(seed, start)
	t.TraceState = "ot=th:8;rv:f3a5c8e1b27d04,shop=tier-gold"
	scale := t.Jitter(ms) // one unit of time, so that traces differ
	u := func(n float64) time.Duration { return time.Duration(n * float64(scale)) }

	order := 40000 + int(seed) //nolint:gosec // small
	root := t.Span(nil, "gateway", "POST /checkout", Server, 0, u(318), "http.request.method", "POST", "http.route", "/checkout",
		"http.response.status_code", 200, "url.path", "/checkout", "user_agent.original", "Mozilla/5.0", "client.address", "203.0.113.7", "enduser.id", "u-1842")
	t.Span(root, "gateway", "authenticate", Internal, u(2), u(11), "auth.method", "session")
	call := t.Span(root, "gateway", "POST", Client, u(15), u(298), "http.request.method", "POST", "server.address", "checkout", "url.full", "http://checkout:8080/orders")
	checkout := t.Span(call, "checkout", "POST /orders", Server, u(18), u(291), "http.route", "/orders", "http.response.status_code", 200, "order.id", order, "order.total", 84.5, "order.express", true)
	t.Log(checkout, "checkout", info, u(19), fmt.Sprintf("order %d received", order), "items", 3)

	t.cart(checkout, u)
	t.stock(checkout, u)
	pay := t.payment(checkout, u)
	if failed {
		t.Fail(u(238), "payment.DeclinedError", "card declined: insufficient funds", pay, checkout, call, root)
		t.Log(pay, "payment", logError, u(239), "charge failed", "reason", "insufficient funds", "retryable", false)
		return t
	}
	t.Log(pay, "payment", info, u(236), "charge accepted", "provider", "acme")
	publish := t.Span(checkout, "checkout", "orders publish", Producer, u(262), u(9), "messaging.system", "kafka", "messaging.destination.name", "orders")
	deliver := t.Span(publish, "mailer", "orders process", Consumer, u(281), u(120), "messaging.system", "kafka", "messaging.operation.type", "process")
	t.Span(deliver, "mailer", "render mail", Internal, u(284), u(38), "template", "order-confirmation")
	t.Span(deliver, "mailer", "smtp send", Client, u(326), u(71), "server.address", "smtp.example.com", "server.port", 587)
	t.Log(deliver, "mailer", info, u(399), "confirmation sent")
	return t
}

func (t *Trace) cart(checkout *tracepb.Span, u func(float64) time.Duration) {
	call := t.Span(checkout, "checkout", "cart.Cart/Get", Client, u(22), u(58), "rpc.system", "grpc", "rpc.service", "cart.Cart", "rpc.method", "Get")
	cart := t.Span(call, "cart", "cart.Cart/Get", Server, u(25), u(52), "rpc.system", "grpc", "rpc.grpc.status_code", 0)
	t.Event(cart, "cache miss", u(28), "cache.key", "cart:u-1842")
	t.Span(cart, "cart", "SELECT cart_items", Client, u(30), u(31), "db.system.name", "postgresql", "db.query.text", sqlSelect, "db.response.returned_rows", 3)
	t.Span(cart, "cart", "SELECT prices", Client, u(62), u(12), "db.system.name", "postgresql", "db.response.returned_rows", 3)
	t.Log(cart, "cart", info, u(76), "cart loaded", "items", 3)
}

func (t *Trace) stock(checkout *tracepb.Span, u func(float64) time.Duration) {
	reserve := t.Span(checkout, "checkout", "reserve items", Internal, u(83), u(64))
	for i := range 3 {
		from := 85 + float64(i)*4
		call := t.Span(reserve, "checkout", "stock.Stock/Reserve", Client, u(from), u(38+float64(i)*8), "rpc.service", "stock.Stock", "rpc.method", "Reserve")
		s := t.Span(call, "stock", "stock.Stock/Reserve", Server, u(from+3), u(32+float64(i)*8), "sku", fmt.Sprintf("SKU-%04d", 7210+i), "stock.left", 12-5*i)
		t.Span(s, "stock", "UPDATE stock", Client, u(from+6), u(24+float64(i)*8), "db.system.name", "postgresql")
		if i == 2 {
			t.Log(s, "stock", warn, u(from+34), "low stock", "sku", "SKU-7212", "left", 2)
		}
	}
}

func (t *Trace) payment(checkout *tracepb.Span, u func(float64) time.Duration) *tracepb.Span {
	call := t.Span(checkout, "checkout", "POST", Client, u(151), u(92), "http.request.method", "POST", "server.address", "payment", "url.full", "http://payment:8080/charges")
	pay := t.Span(call, "payment", "POST /charges", Server, u(154), u(86), "http.route", "/charges", "http.response.status_code", 201)
	t.Span(pay, "payment", "fraud check", Internal, u(156), u(21), "fraud.score", 0.07)
	t.Span(pay, "payment", "POST", Client, u(179), u(55), "http.request.method", "POST", "server.address", "api.acme-pay.example", "url.full", "https://api.acme-pay.example/v2/charges")
	return pay
}

// Browse is a page of the catalogue.
func Browse(seed uint64, start time.Time) *Trace {
	t := NewTrace(seed, start)
	u := func(n float64) time.Duration { return t.Jitter(time.Duration(n * float64(ms))) }
	root := t.Span(nil, "gateway", "GET /products", Server, 0, u(46), "http.request.method", "GET", "http.route", "/products", "http.response.status_code", 200)
	call := t.Span(root, "gateway", "GET", Client, u(3), u(34), "server.address", "catalogue")
	list := t.Span(call, "catalogue", "GET /list", Server, u(6), u(27), "http.route", "/list")
	t.Span(list, "catalogue", "SELECT products", Client, u(8), u(15), "db.system.name", "postgresql")
	t.Log(list, "catalogue", info, u(24), "24 products listed")
	return t
}

// Large is a trace of n spans over 20 services.
func Large(seed uint64, start time.Time, n int) *Trace {
	t := NewTrace(seed, start)
	root := t.Span(nil, "batch", "nightly import", Internal, 0, time.Duration(n)*ms)
	parents := []*tracepb.Span{root}
	for i := range n - 1 {
		parent := parents[t.rnd.IntN(len(parents))]
		from := time.Duration(i) * ms
		s := t.Span(parent, fmt.Sprintf("worker-%02d", i%20), fmt.Sprintf("import record %d", i), Internal, from, t.Jitter(900*time.Microsecond),
			"record.id", i, "record.source", "s3://imports/2026/11/20.csv", "record.bytes", 1024+i, "worker", i%20, "ok", true)
		if i%10 == 0 {
			parents = append(parents, s)
		}
	}
	return t
}
