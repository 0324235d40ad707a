// Command protocols serves by HTTP/2 behind a reverse proxy, and takes over a
// connection. It runs until a signal ends it, because who has taken a connection
// over reads what it needs before the handler returns.
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
)

func get(url string) {
	resp, err := http.Get(url)
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	fmt.Println(resp.Status, string(body))
}

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/http2", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, r.Proto)
	})
	second := httptest.NewUnstartedServer(mux)
	second.EnableHTTP2 = true
	second.StartTLS()
	target, err := url.Parse(second.URL)
	if err != nil {
		log.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = second.Client().Transport
	get(httptest.NewServer(proxy).URL + "/http2")

	upgrade := http.NewServeMux()
	upgrade.HandleFunc("/upgrade", func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			log.Fatal(err)
		}
		defer conn.Close()
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
		rw.Flush()
		line, _ := rw.ReadString('\n')
		rw.WriteString("echo " + line)
		rw.Flush()
	})
	req, err := http.NewRequest("GET", httptest.NewServer(upgrade).URL+"/upgrade", nil)
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Upgrade", "echo")
	req.Header.Set("Connection", "Upgrade")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	conn := resp.Body.(io.ReadWriteCloser)
	fmt.Fprintln(conn, "hi")
	line, _ := bufio.NewReader(conn).ReadString('\n')
	fmt.Print(line)
	if _, ok := resp.Body.(io.ReadWriteCloser); !ok || resp.Request != req {
		log.Fatal("the response is not that of net/http")
	}
	select {}
}
