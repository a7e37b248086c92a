module kttun.test/lab/kubernetes

go 1.24
